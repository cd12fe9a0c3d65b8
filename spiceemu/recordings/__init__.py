"""What stands between others and writes down what they say."""
