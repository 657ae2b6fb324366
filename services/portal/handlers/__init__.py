"""What happens when somebody signs in, and how the parts of a page are fetched."""
