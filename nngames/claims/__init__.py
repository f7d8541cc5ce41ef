"""The source's claims, each an executable entry: the audit of activations and the general claims about them."""

from nngames.claims.audit import Audit, AuditRow, AuditVerdict, audit, audit_activations, chosen
from nngames.claims.general_claims import general_claims

__all__ = ["Audit", "AuditRow", "AuditVerdict", "audit", "audit_activations", "chosen", "general_claims"]
