"""All that runs live and knows neither ROS nor its messages: streams, queues, devices, window, film, figures."""
