"""What the services say to each other, and to the HR system. Imports nobody."""
