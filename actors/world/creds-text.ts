/**
 * What a `.creds` file says. What always holds: an end of a last line is not needed, and Windows's are taken, which the libraries' own readers do not.
 */
const jwtBlock = /-{3,}BEGIN NATS USER JWT-{3,}\s+(\S+)\s+-{3,}END NATS USER JWT-{3,}/;
const seedLine = /^\s*(SU[A-Z2-7]{56})\s*$/m;

export const jwtIn = (text: string): string | undefined => jwtBlock.exec(text)?.[1];

/** An nkey's seed, of a user; also of a file that holds nothing else. */
export const seedLineIn = (text: string): string | undefined => seedLine.exec(text)?.[1];
