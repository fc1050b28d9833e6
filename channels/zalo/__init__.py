"""Zalo Official Account: what people write to it, and what we write back."""
