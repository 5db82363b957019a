module example.test/bad

go 1.26.0

require example.test/heavy v0.0.0

replace example.test/heavy => ./heavy
