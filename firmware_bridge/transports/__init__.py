"""Where device bytes come from: serial ports, sysfs files, MQTT brokers, recorded captures."""
