"""The MQTT broker: Mosquitto's config, accounts and ACL, and Mosquitto as a child process."""
