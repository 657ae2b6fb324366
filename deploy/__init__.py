"""Running Stafett: local installation, demo, migrations, policy, schema of the directory."""
