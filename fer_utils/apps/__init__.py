"""What people use: command line, widget, web service, Lambda function."""
