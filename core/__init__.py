"""What every other package stands on; knows no citizen, case or vendor."""
