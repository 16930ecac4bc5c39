package main

func clientClaims() []*Claim { return nil }
