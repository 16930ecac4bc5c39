// Two workers behind one port; each makes a context of its own.
const cluster = require('cluster');
const fs = require('fs');
const https = require('https');

if (cluster.isPrimary) {
  cluster.fork();
  cluster.fork();
  process.on('SIGTERM', () => process.exit(0));
} else {
  const options = {
    cert: fs.readFileSync('/etc/ssl/cert.pem'),
    key: fs.readFileSync('/etc/ssl/key.pem'),
  };
  if (process.argv[2] === 'verify') {
    options.ca = fs.readFileSync('/etc/ssl/client.pem');
    options.requestCert = true;
    options.rejectUnauthorized = true;
  }
  https.createServer(options, (request, response) => response.end('ok\n')).listen(8443);
}
