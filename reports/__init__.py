"""Figures, tables and pages made from what the other packages wrote."""
