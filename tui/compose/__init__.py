"""The compose screen: prompt stack, parameters, image, recent images."""
