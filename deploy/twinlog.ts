#!/usr/bin/env node
/**
 * The `twinlog` command line: this file only starts it. See deploy/commands/ for the commands.
 */

import { openNodeWorld, programVersion } from "./commands/node-world.ts";
import { runProgram } from "./commands/program.ts";

// What it makes, and what the programs make that it starts, is its user's alone from the first moment.
process.umask(0o077);
const world = openNodeWorld();
process.exitCode = await runProgram(world, programVersion(), process.argv.slice(2));
