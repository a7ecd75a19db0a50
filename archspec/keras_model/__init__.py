"""Graph -> keras.Model; the few layers that Keras lacks; weights of other models; export."""
