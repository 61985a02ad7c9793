sub { [200, ['Content-Type' => 'application/json'], [qq({"pid":$$})]] };
