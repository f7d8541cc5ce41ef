"""The literature that verdicts and docstrings cite, one BibTeX entry a key."""

from __future__ import annotations

_ENTRIES: dict[str, str] = {
    "djehiche2023": """@misc{djehiche2023,
  author = {Djehiche, Boualem}, title = {On the asymptotic outcomes of generative {AI}},
  howpublished = {Lecture slides, KTH Stockholm}, year = {2023}, note = {see also arXiv:2401.12321}}""",
    "bauschke2017": """@book{bauschke2017,
  author = {Bauschke, Heinz H. and Combettes, Patrick L.},
  title = {Convex Analysis and Monotone Operator Theory in Hilbert Spaces}, edition = {2},
  publisher = {Springer}, year = {2017}}""",
    "combettes2020": """@article{combettes2020,
  author = {Combettes, Patrick L. and Pesquet, Jean-Christophe},
  title = {Deep Neural Network Structures Solving Variational Inequalities},
  journal = {Set-Valued and Variational Analysis}, volume = {28}, pages = {491--518}, year = {2020}}""",
    "gribonval2020": """@article{gribonval2020,
  author = {Gribonval, R{\\'e}mi and Nikolova, Mila}, title = {A Characterization of Proximity Operators},
  journal = {Journal of Mathematical Imaging and Vision}, volume = {62}, pages = {773--789}, year = {2020}}""",
    "moreau1965": """@article{moreau1965,
  author = {Moreau, Jean-Jacques}, title = {Proximit{\\'e} et dualit{\\'e} dans un espace hilbertien},
  journal = {Bulletin de la Soci{\\'e}t{\\'e} Math{\\'e}matique de France}, volume = {93},
  pages = {273--299}, year = {1965}}""",
    "korpelevich1976": """@article{korpelevich1976,
  author = {Korpelevich, G. M.}, title = {The extragradient method for finding saddle points and other problems},
  journal = {Ekonomika i Matematicheskie Metody}, volume = {12}, pages = {747--756}, year = {1976}}""",
    "facchinei2003": """@book{facchinei2003,
  author = {Facchinei, Francisco and Pang, Jong-Shi},
  title = {Finite-Dimensional Variational Inequalities and Complementarity Problems},
  publisher = {Springer}, year = {2003}}""",
    "cominetti2014": """@article{cominetti2014,
  author = {Cominetti, Roberto and Soto, Jos{\\'e} A. and Vaisman, Jos{\\'e}},
  title = {On the rate of convergence of {Krasnosel'ski\\u{\\i}--Mann} iterations and their connection with sums of
           {Bernoullis}}, journal = {Israel Journal of Mathematics}, volume = {199}, pages = {757--772},
  year = {2014}}""",
    "monderer1996": """@article{monderer1996,
  author = {Monderer, Dov and Shapley, Lloyd S.}, title = {Potential Games},
  journal = {Games and Economic Behavior}, volume = {14}, pages = {124--143}, year = {1996}}""",
    "voorneveld2000": """@article{voorneveld2000,
  author = {Voorneveld, Mark}, title = {Best-response potential games},
  journal = {Economics Letters}, volume = {66}, pages = {289--295}, year = {2000}}""",
    "baillon2012": """@article{baillon2012,
  author = {Baillon, J.-B. and Combettes, P. L. and Cominetti, R.},
  title = {There is no variational characterization of the cycles in the method of periodic projections},
  journal = {Journal of Functional Analysis}, volume = {262}, pages = {400--408}, year = {2012}}""",
    "rump2011": """@article{rump2011,
  author = {Rump, Siegfried M.},
  title = {Verified bounds for singular values, in particular for the spectral norm of a matrix and its inverse},
  journal = {BIT Numerical Mathematics}, volume = {51}, pages = {367--384}, year = {2011}}""",
    "bertsekas1989": """@book{bertsekas1989,
  author = {Bertsekas, Dimitri P. and Tsitsiklis, John N.},
  title = {Parallel and Distributed Computation: Numerical Methods}, publisher = {Prentice Hall}, year = {1989}}""",
    "hopfield1984": """@article{hopfield1984,
  author = {Hopfield, John J.},
  title = {Neurons with graded response have collective computational properties like those of two-state neurons},
  journal = {Proceedings of the National Academy of Sciences}, volume = {81}, pages = {3088--3092}, year = {1984}}""",
    "eisenberg2001": """@article{eisenberg2001,
  author = {Eisenberg, Larry and Noe, Thomas H.}, title = {Systemic Risk in Financial Systems},
  journal = {Management Science}, volume = {47}, pages = {236--249}, year = {2001}}""",
    "bramoulle2014": """@article{bramoulle2014,
  author = {Bramoull{\\'e}, Yann and Kranton, Rachel and D'Amours, Martin},
  title = {Strategic Interaction and Networks}, journal = {American Economic Review}, volume = {104},
  pages = {898--930}, year = {2014}}""",
}


def bibtex(key: str) -> str:
    """Return the BibTeX entry of a reference key; an unknown key is a programming error (KeyError)."""
    return _ENTRIES[key]


def keys() -> tuple[str, ...]:
    """Return every known key, sorted."""
    return tuple(sorted(_ENTRIES))
