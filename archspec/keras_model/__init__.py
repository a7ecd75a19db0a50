"""Graph -> keras.Model; the few layers that Keras lacks; weights from other models; export."""
