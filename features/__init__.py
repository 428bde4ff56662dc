"""Ratios, macro variables and labels over the warehouse: the panel that models learn from."""
