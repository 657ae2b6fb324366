"""The pages: sign-in, shell and every desk. Reaches the others only by their HTTP APIs, as the signed-in user."""
