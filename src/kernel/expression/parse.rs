use sqlparser::ast::Expr;
use sqlparser::dialect::DuckDbDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::{DEEPEST, ExpressionError, LONGEST_SOURCE, MOST_TOKENS};

/// Line and column right after the end of a text.
fn end(source: &str) -> (u64, u64) {
    let line = source.matches('\n').count();
    let last = source.rsplit('\n').next().unwrap_or_default().chars().count();
    let place = |n: usize| u64::try_from(n + 1).unwrap_or(1);
    (place(line), place(last))
}

/// Parses one whole expression.
pub(super) fn parse(source: &str) -> Result<Expr, ExpressionError> {
    if source.len() > LONGEST_SOURCE {
        return Err(ExpressionError {
            message: format!("the expression is longer than {LONGEST_SOURCE} bytes"),
            line: 1,
            column: 1,
            unknown: None,
        });
    }
    let parser_error = |error: sqlparser::parser::ParserError| match error {
        sqlparser::parser::ParserError::RecursionLimitExceeded => ExpressionError {
            message: format!("the expression is nested deeper than {DEEPEST} levels"),
            line: 1,
            column: 1,
            unknown: None,
        },
        other => ExpressionError::from_parser(&other.to_string(), end(source)),
    };
    let tokens = Tokenizer::new(&DuckDbDialect {}, source)
        .tokenize_with_location()
        .map_err(|error| parser_error(error.into()))?;
    // A long sum is a tree as deep as it has terms. The parser does not recurse into it, but all that reads or
    // drops the tree does.
    let is_part = |token: &Token| {
        !matches!(token, Token::Whitespace(_) | Token::Comma | Token::LParen | Token::RParen)
    };
    if tokens.iter().filter(|token| is_part(&token.token)).count() > MOST_TOKENS {
        return Err(ExpressionError {
            message: format!("the expression has more than {MOST_TOKENS} words and operators"),
            line: 1,
            column: 1,
            unknown: None,
        });
    }
    let mut parser = Parser::new(&DuckDbDialect {})
        // What is within parentheses takes the stack of the parser, a few levels for each of ours.
        .with_recursion_limit(DEEPEST)
        .with_tokens_with_locations(tokens);
    let expression = parser.parse_expr().map_err(parser_error)?;
    let rest = parser.peek_token();
    if rest.token == Token::EOF {
        Ok(expression)
    } else {
        Err(ExpressionError::at(
            rest.span,
            format!("the expression ends before '{}'; write one expression only", rest.token),
        ))
    }
}
