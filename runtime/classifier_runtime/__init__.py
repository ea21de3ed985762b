"""Serves Hugging Face classifiers: ids as KServe answers, or readable labels and scores."""

__version__ = "0.1.0"
