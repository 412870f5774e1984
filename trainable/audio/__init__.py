"""Audio read, checked and changed: noise, reverberation, augmented copies."""
