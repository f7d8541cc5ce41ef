"""What design is made of: preimages of layers, the weights of a profile, certificate sets, and their intersections."""
