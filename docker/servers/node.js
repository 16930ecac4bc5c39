// Two workers behind one port; each makes a context of its own. They share Node's
// own ticket keys. With verification there is one: a ticket stays with a context.
const cluster = require('cluster');
const fs = require('fs');
const https = require('https');

const verify = process.argv[2] === 'verify';

if (cluster.isPrimary) {
  cluster.fork();
  if (!verify) cluster.fork();
  process.on('SIGTERM', () => process.exit(0));
} else {
  const options = {
    cert: fs.readFileSync('/etc/ssl/cert.pem'),
    key: fs.readFileSync('/etc/ssl/key.pem'),
  };
  if (verify) {
    options.ca = fs.readFileSync('/etc/ssl/client.pem');
    options.requestCert = true;
    options.rejectUnauthorized = true;
  }
  https.createServer(options, (request, response) => response.end('ok\n')).listen(8443);
}
