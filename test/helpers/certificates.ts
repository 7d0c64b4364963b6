/** Certificates for tests, made with openssl: an authority in a folder, and what it signs. Where that program is missing, `hasOpenssl` says so. */
import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
}

function openssl(directory: string, ...line: string[]): void {
  execFileSync("openssl", line, { cwd: directory, stdio: "ignore" });
}

/** Its certificate and key are `<name>.crt` and `<name>.key`. */
export function makeAuthority(directory: string, name: string): void {
  const subject = ["-days", "2", "-subj", `/CN=${name}`];
  openssl(directory, "req", "-x509", ...newKey, "-keyout", `${name}.key`, "-out", `${name}.crt`, ...subject);
}

/** Of a loopback address, an e-mail address or a host, for whom `alternative` is such as `IP:127.0.0.1`. */
export function signCertificate(
  directory: string,
  authority: string,
  name: string,
  alternative: string,
): CertificateFiles {
  openssl(directory, "req", ...newKey, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
  writeFileSync(join(directory, `${name}.ext`), `subjectAltName=${alternative}\n`);
  const issuer = ["-CA", `${authority}.crt`, "-CAkey", `${authority}.key`, "-CAcreateserial"];
  const rest = ["-out", `${name}.crt`, "-days", "2", "-extfile", `${name}.ext`];
  openssl(directory, "x509", "-req", "-in", `${name}.csr`, ...issuer, ...rest);
  const file = (of: string, kind: string) => join(directory, `${of}.${kind}`);
  return { certFile: file(name, "crt"), keyFile: file(name, "key"), caFile: file(authority, "crt") };
}
