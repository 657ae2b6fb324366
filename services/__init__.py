"""Stafett's services; each is a container of the same rooms."""
