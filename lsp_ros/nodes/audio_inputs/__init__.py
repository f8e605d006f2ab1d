"""What an audio source may take its speech from."""
