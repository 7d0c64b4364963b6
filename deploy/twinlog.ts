#!/usr/bin/env node
/**
 * The `twinlog` command line: this file only starts it. See deploy/commands/ for the commands.
 */

import { openNodeWorld, programVersion } from "./commands/node-world.ts";
import { runProgram } from "./commands/program.ts";

const world = openNodeWorld();
process.exitCode = await runProgram(world, programVersion(), process.argv.slice(2));
