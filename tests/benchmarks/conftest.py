"""What all benchmarks share: their output is the figures."""

from services.kernel import telemetry

# dry runs do the services' work in this process: their thousands of lines would hide the figures
telemetry.configure("benchmark", level="error")
