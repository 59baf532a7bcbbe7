"""What `deploy/raspberrypi/install` runs. Standard library only: nothing is installed before it."""
