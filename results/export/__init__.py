"""What is handed over: best weights, model card, exported folder, CPU benchmark."""
