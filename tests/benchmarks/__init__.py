"""Speed: each figure beside a floor of bare clients, measured in the same run; never a pass or a fail on a time."""
