"""Evaluation of the exported model: questions, a classifier, reports."""
