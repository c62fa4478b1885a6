#!/usr/bin/env node
// The compiler as forge calls it, on the JavaScript build of solc: nothing else of it is on npm.
const { readFileSync } = require("fs");
const solc = require("solc");

if (process.argv.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else {
  process.stdout.write(solc.compile(readFileSync(0, "utf8")));
}
