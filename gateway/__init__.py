"""The program on the Raspberry Pi: order, time and failure; nothing clever."""
