"""The adapters to Ray Tune: driver, searcher, scheduler, callbacks, actors."""
