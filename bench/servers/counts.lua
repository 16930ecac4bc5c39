-- Prints what wrk counted: requests, microseconds, answers that were no success,
-- and connections that failed.
done = function(summary)
   local e = summary.errors
   io.write(string.format("counts %d %d %d %d\n", summary.requests, summary.duration,
      e.status, e.connect + e.read + e.write + e.timeout))
end
