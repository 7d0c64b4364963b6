/**
 * The beginning of the page. zod would try whether it may make code, which this page's policy forbids and reports: it is told before anything
 * that uses it is loaded.
 */
import * as z from "zod";

z.config({ jitless: true });
await import("./main.ts");
