"""What ships: zips, images, and the model folders in them."""
