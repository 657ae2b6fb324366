"""What the service needs from outside: only the kernel's database, outbox and work; it reaches no target."""
