"""Graph -> keras.Model: the emitter, and the few layers that Keras lacks."""
