"""Accounts in the directories of the organisations."""
