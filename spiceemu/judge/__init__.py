"""The judge of streams: what in a recording, or in what passes now, a server of some level would not say."""
