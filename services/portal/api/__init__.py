"""Routes: sign-in, the shell, and one folder for each desk."""
