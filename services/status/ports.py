"""What status needs from outside: nothing but its database and the broker, which are the kernel's."""
