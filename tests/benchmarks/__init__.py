"""Speed: each figure beside a floor of bare clients, measured in the same run; never a pass or a fail on a time."""

from services.kernel import telemetry

# dry runs do the services' work in this process: their thousands of lines would hide the figures
telemetry.configure("benchmark", level="error")
