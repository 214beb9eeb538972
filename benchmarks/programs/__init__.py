"""The same program in three libraries: train 784-100-10 on MNIST, and judge it."""
