module example.test/heavy

go 1.26.0
