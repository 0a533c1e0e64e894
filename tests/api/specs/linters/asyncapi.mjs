// Check an AsyncAPI document with its own parser: print what is wrong, and end with 1 when anything is.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
// 0 is an error and 1 a warning; 2 informs, such as that AsyncAPI 3.1 is out.
const faults = diagnostics.filter((each) => each.severity <= 1);
for (const each of faults) console.log(`${each.path.join("/")}: ${each.message}`);
process.exit(faults.length ? 1 : 0);
